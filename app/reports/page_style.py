"""The style of reports as HTML: on screens, narrow ones too, and on paper."""

STYLE = """
:root { color: #1c2733; background: #fff; font: 15px/1.5 system-ui, "Noto Sans", "Segoe UI",
  "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; overflow-wrap: break-word; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; padding-top: .8rem; border-top: 1px solid #c9d1d8; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
header p { color: #5b6874; margin: .3rem 0 1.2rem; overflow-wrap: break-word; }
ul { margin: 0; padding-left: 1.2rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: .5rem 1.5rem; margin: 0; }
.facts dt { color: #5b6874; font-size: .82rem; }
.facts dd { margin: 0; overflow-wrap: break-word; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1rem; margin: 1rem 0; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: #5b6874; font-size: .85rem; margin-top: .3rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { padding: .22rem .7rem; vertical-align: top; }
thead th { border-bottom: 2px solid #5b6874; vertical-align: bottom; }
tbody tr:nth-child(even) { background: #eef2f5; }
tbody th { font-weight: 500; }
.text { text-align: left; overflow-wrap: break-word; }
.number { text-align: right; white-space: nowrap; }
@media print { body { max-width: none; padding: 0; } thead { display: table-header-group; }
  tr, figure { break-inside: avoid; } h2 { break-after: avoid; } }
""".strip()
