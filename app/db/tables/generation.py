"""How often the data of each subject changed; written by triggers (migration 0009)."""

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
