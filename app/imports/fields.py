"""What can be imported: the fields of each kind, their bounds, and the headers that mean them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "number", "choice", "labels", "instant", "coordinate"]

LONGEST_NAME = 300
LONGEST_LABEL = 100
MOST_LABELS = 50
# Between the labels of one cell, in files as in the staging table.
LABEL_SEPARATOR = ";"
LARGEST_AMOUNT = 1e15


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how its cells are read and what they may hold.

    `default` stands for an empty cell, as text; None is NULL. `synonyms` are headers in the order
    of preference, as `plain_header` writes them.
    """

    name: str
    type: FieldType
    synonyms: tuple[str, ...]
    default: str | None = None
    is_required: bool = False
    longest: int = LONGEST_NAME
    choices: tuple[str, ...] = ()
    at_least: float = 0.0
    at_most: float = LARGEST_AMOUNT
    is_open: bool = False

    @property
    def bounds(self) -> str:
        """The accepted range in words."""
        return f"{'above' if self.is_open else 'from'} {self.at_least:g} to {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file can hold: its fields, which two make the place, whether further columns stay."""

    name: str
    fields: tuple[Field, ...]
    lon: str
    lat: str
    is_place_required: bool
    keeps_attributes: bool

    def field(self, name: str) -> Field:
        """Return the field of this name."""
        return next(field for field in self.fields if field.name == name)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the fields without which nothing can be read."""
        return tuple(field.name for field in self.fields if field.is_required)


def plain_header(header: str) -> str:
    """Return a header without case, spaces, underscores and punctuation."""
    return re.sub(r"[\W_]+", "", header.casefold())


def _coordinate(name: str, limit: float, is_required: bool, *synonyms: str) -> Field:
    return Field(
        name, "coordinate", synonyms, is_required=is_required, at_least=-limit, at_most=limit
    )


# The first of each is what `geojson_reader` calls the coordinates of a feature.
LON_WORDS = ("geometrylon", "lon", "lng", "long", "longitude", "经度", "x")
LAT_WORDS = ("geometrylat", "lat", "latitude", "纬度", "y")

CUSTOMERS = Kind(
    "customers",
    (
        Field("external_id", "text", (
            "externalid", "customerid", "custid", "customercode", "customerno", "customernumber",
            "accountid", "accountno", "accountnumber", "clientid", "storeid", "code", "id",
            "客户编号", "客户编码", "客户代码", "客户id", "门店编号", "门店编码", "编号", "编码",
            "featureid",
        ), is_required=True),
        Field("name", "text", (
            "name", "customername", "accountname", "companyname", "company", "clientname",
            "storename", "客户名称", "客户名", "公司名称", "门店名称", "名称",
        )),
        _coordinate("lon", 180, True, *LON_WORDS),
        _coordinate("lat", 90, True, *LAT_WORDS),
        Field("class", "choice", (
            "class", "serviceclass", "customerclass", "grade", "客户等级", "客户级别", "等级",
            "级别",
        ), "C", choices=("S", "A", "B", "C", "D")),
        Field("segment", "text", (
            "segment", "industry", "sector", "channel", "细分", "细分市场", "行业", "渠道",
            "客户类型",
        ), "", longest=LONGEST_LABEL),
        Field("tags", "labels", ("tags", "tag", "labels", "标签"), ""),
        Field("status", "choice", ("status", "customerstatus", "客户状态", "状态"), "active",
              choices=("lead", "active", "inactive")),
        Field("potential", "number", (
            "potential", "annualpotential", "salespotential", "销售潜力", "年潜力", "潜力",
        ), "0"),
        Field("revenue", "number", (
            "revenue", "annualrevenue", "sales", "turnover", "销售额", "营业额", "收入",
        ), "0"),
        Field("visits_per_year", "number", (
            "visitsperyear", "annualvisits", "visits", "年拜访次数", "每年拜访次数", "拜访次数",
        ), at_most=1000),
        Field("service_minutes", "number", (
            "serviceminutes", "minutespervisit", "visitminutes", "服务分钟", "服务时长",
            "拜访时长",
        ), at_most=10_000),
        Field("last_visit_at", "instant", (
            "lastvisitat", "lastvisit", "lastvisitdate", "lastvisited", "上次拜访时间",
            "上次拜访日期", "上次拜访", "最近拜访时间", "最近拜访日期", "最近拜访",
        )),
    ),
    lon="lon",
    lat="lat",
    is_place_required=True,
    keeps_attributes=True,
)  # fmt: skip

REPS = Kind(
    "reps",
    (
        Field("external_id", "text", (
            "externalid", "repid", "repcode", "employeeid", "employeeno", "staffid", "code", "id",
            "员工编号", "代表编号", "销售编号", "工号", "编号", "编码", "featureid",
        ), is_required=True),
        Field("name", "text", (
            "name", "repname", "employeename", "fullname", "员工姓名", "姓名", "名称",
        )),
        _coordinate("home_lon", 180, False, "homelon", "homelng", "homelongitude", "家庭经度",
                    *LON_WORDS),
        _coordinate("home_lat", 90, False, "homelat", "homelatitude", "家庭纬度", *LAT_WORDS),
        Field("days_per_year", "number", (
            "daysperyear", "workingdays", "days", "年工作天数", "工作天数",
        ), "220", at_most=366, is_open=True),
        Field("hours_per_day", "number", (
            "hoursperday", "dailyhours", "hours", "每日工时", "每天工时",
        ), "8", at_most=24, is_open=True),
        Field("field_share", "number", ("fieldshare", "外勤比例"), "0.8", at_most=1, is_open=True),
        Field("ability", "number", ("ability", "能力", "能力系数"), "1", at_most=100, is_open=True),
        Field("fte", "number", ("fte", "headcount", "全职人数"), "1", at_most=10_000,
              is_open=True),
        Field("skills", "labels", ("skills", "skill", "技能"), ""),
    ),
    lon="home_lon",
    lat="home_lat",
    is_place_required=False,
    keeps_attributes=False,
)  # fmt: skip

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (CUSTOMERS, REPS)}
