"""Data Docs: Great Expectations' own page for the latest result of each suite, and a page that lists them."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from pathlib import Path

from bn_aura_pipelines.quality.running import SuiteResult

INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data quality</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 40px auto; max-width: 900px; padding: 0 20px; color: #0f172a; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: 8px 12px; border-bottom: 1px solid #e2e8f0; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.blocking {{ color: #b91c1c; font-weight: 600; }} .warning {{ color: #b45309; font-weight: 600; }}
.good {{ color: #15803d; }} a {{ color: #1d4ed8; }} small {{ color: #64748b; }}
</style></head><body><h1>Data quality</h1>
<p>The latest run of each suite. A blocking expectation that fails keeps what stands above it as it was.</p>
<table><tr><th>relation</th><th>result</th><th>expectations</th><th>about</th></tr>
{rows}
</table></body></html>
"""
ROW = (
    '<tr><td><a href="{relation}.html">{relation}</a><br><small>{failed}</small></td>'
    '<td class="{state}">{state}</td><td class="n">{passed} of {asked}</td><td>{as_of}</td></tr>'
)


def write_page(folder: Path, result: SuiteResult, as_of: datetime) -> Path:
    """Write the page of a suite and the list of all anew; returns the page."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    folder.mkdir(parents=True, exist_ok=True)
    result.report.meta["run_id"] = RunIdentifier(run_name="latest", run_time=as_of)
    rendered = ValidationResultsPageRenderer(run_info_at_end=True).render(result.report)
    page = folder / f"{result.suite.relation}.html"
    _replace(page, DefaultJinjaPageView().render(rendered))
    failed = [one.expectation for one in result.outcomes if not one.passed]
    state = "good" if not failed else "blocking" if any(one.blocking for one in failed) else "warning"
    line = {
        "relation": result.suite.relation,
        "state": state,
        "failed": escape(", ".join(one.name for one in failed)),
        "passed": len(result.outcomes) - len(failed),
        "asked": len(result.outcomes),
        "as_of": f"{as_of:%Y-%m-%d %H:%M}",
    }
    _replace(page.with_suffix(".json"), json.dumps(line))
    lines = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    _replace(folder / "index.html", INDEX.format(rows="\n".join(ROW.format(**line) for line in lines)))
    return page


def _replace(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.replace(path)
