"""What the owner of the tables keeps for the application: counts of changes, indexes set aside."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id


class DataChange(Base):
    """One statement that changed rows of a table, not yet folded into `data_generation`."""

    __tablename__ = "data_change"

    id: Mapped[Id]
    subject: Mapped[str] = mapped_column(Text)


class DataGeneration(Base):
    """How many statements have changed rows of a table, as far as they are folded."""

    __tablename__ = "data_generation"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    folded: Mapped[BigInt]


class SetAsideIndex(Base):
    """An index that a first import builds anew before it commits; seen from outside, never any."""

    __tablename__ = "set_aside_index"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    definition: Mapped[str] = mapped_column(Text)
