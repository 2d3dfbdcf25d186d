"""Rules of validation judged by Great Expectations, with its Data Docs.

One context a validation, in memory: nothing is written but the Data Docs, and those where they are
asked for. They are settled: run times and random element ids are taken out and images are taken
from the folder itself, so that equal corpora give equal pages and looking at them tells no other
machine. (Their style sheets come from public networks; without one they are plain.)
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.reasons import reason
from data.validation_rules import Rule
from voiceforge.errors import StageError
from voiceforge.files import storage_errors, write_text

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index.html"
"""The first page of the Data Docs."""

_SITE = "data_docs"
_MOMENT = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
"""Stands for the time of a run, which is no property of a corpus."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
_IMAGES = re.compile(r"https://great-expectations-web-assets\.s3[^/]*/([\w-]+\.png)(\?d=[\w.]*)?")
_SHOWN_MOMENT = re.compile(r"1970-01-01[ T]00:00:00( UTC|Z)")
_LOGO = "static/images/logo-long.png"
_UNUSED = ("iterative-dev-loop.png", "glossary_scroller.gif",
           "validation_failed_unexpected_values.gif")  # fmt: skip


class Judge:
    """Judges frames by lots of rules and writes the Data Docs of them all."""

    def __init__(self, name: str, docs: Path | None) -> None:
        """
        Args:
            name: of the corpus; the title of the pages.
            docs: folder for the Data Docs, which need not exist; None for none.
        """
        os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the package is imported
        import great_expectations as gx

        self._name, self._docs = name, docs
        self._context = gx.get_context(mode="ephemeral")
        # Its type names a class, it takes a dictionary (1.24).
        self._context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        self._remove_own_site()
        if docs is not None:
            site: Any = {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(docs),
                },
            }
            self._context.add_data_docs_site(site_name=_SITE, site_config=site)

    def _remove_own_site(self) -> None:
        """Every new context comes with a site in a temporary folder that nothing removes."""
        for name, site in dict(self._context.variables.data_docs_sites or {}).items():
            shutil.rmtree(site["store_backend"]["base_directory"], ignore_errors=True)
            self._context.delete_data_docs_site(name)

    def failures(self, lot: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[list[str]]:
        """The ids of those who do not meet each rule, in the order of the frame.

        Args:
            lot: name of this lot of rules, once a judge.
            frame: with `id` and the columns of the rules. A value that is missing meets any rule
                but the one that wants it missing.

        Raises:
            StageError: an expectation could not be computed.
        """
        import great_expectations as gx
        import great_expectations.expectations as gxe
        import pandas as pd
        from great_expectations.core.run_identifier import RunIdentifier

        suite = self._context.suites.add(gx.ExpectationSuite(name=lot))
        for rule in rules:
            kind = getattr(gxe, rule.expectation)
            suite.add_expectation(
                kind(column=rule.column, description=_described(rule), **rule.arguments)
            )
        source = self._context.data_sources.add_pandas(self._name)
        batch = source.add_dataframe_asset(lot).add_batch_definition_whole_dataframe(lot)
        definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(name=lot, data=batch, suite=suite)
        )
        checkpoint = self._context.checkpoints.add(
            gx.Checkpoint(
                name=lot,
                validation_definitions=[definition],
                actions=[],
                result_format={
                    "result_format": "COMPLETE",
                    "return_unexpected_index_query": False,
                    "include_unexpected_rows": False,
                },
            )
        )
        # Only what the rules are about: every expectation copies the frame it is given. An index
        # with a name would be looked up and told row by row, ten times as slow.
        columns = list(dict.fromkeys(rule.column for rule in rules))
        rows = frame[columns].set_axis(pd.Index(frame["id"]).rename(None), axis="index")
        outcome = checkpoint.run(
            batch_parameters={"dataframe": rows},
            run_id=RunIdentifier(run_name=self._name, run_time=_MOMENT),
        )
        (result,) = outcome.run_results.values()
        self._context.data_sources.delete(self._name)  # It holds the frame.
        return [_failed(rule, one) for rule, one in zip(rules, result.results, strict=True)]

    def write_docs(self) -> None:
        """Build the Data Docs of what was judged, settled.

        Raises:
            StorageError: the disk is full or read-only.
        """
        if self._docs is None:
            return
        with storage_errors(self._docs):
            self._context.build_data_docs()
            for name in _UNUSED:
                (self._docs / "static" / "images" / name).unlink(missing_ok=True)
            # Styles of fonts that are not needed to read figures weigh more than all pages.
            shutil.rmtree(self._docs / "static" / "fonts", ignore_errors=True)
            pages = [page.relative_to(self._docs) for page in sorted(self._docs.rglob("*.html"))]
            for page in pages:
                logo = "../" * (len(page.parts) - 1) + _LOGO
                text = _settled((self._docs / page).read_text(), logo)
                if page.name == INDEX:
                    text = text.replace("</body>", f"{_links(pages)}</body>")
                write_text(self._docs / page, text)


def _described(rule: Rule) -> str:
    """What the Data Docs say of a rule: code, bounds and sentence."""
    bounds = "".join(
        f", {name.replace('_', ' ')} {value}"
        for name, value in rule.arguments.items()
        if name != "regex"
    )
    return f"{rule.reason} ({rule.column}{bounds}): {reason(rule.reason).sentence}"


def _failed(rule: Rule, outcome: Any) -> list[str]:
    """The unexpected ids of one expectation's result."""
    if outcome.exception_info.get("raised_exception", False) or "unexpected_index_list" not in (
        outcome.result
    ):
        raise StageError(
            f"The expectation behind {rule.reason!r} ({rule.expectation} of the column "
            f"{rule.column}) could not be computed: {outcome.exception_info}."
        )
    return [str(name) for name in outcome.result["unexpected_index_list"]]


def _links(pages: Sequence[Path]) -> str:
    """Plain links to every page: the table of the index needs scripts from public networks."""
    items = (
        f'<li><a href="{page.as_posix()}">{page.parts[0]}: {page.parts[1].removesuffix(".html")}'
        "</a></li>"
        for page in pages
        if len(page.parts) > 1
    )
    return f"<ul>{''.join(items)}</ul>"


def _settled(page: str, logo: str) -> str:
    """A page of Data Docs without what differs from run to run."""
    seen: dict[str, str] = {}
    page = _UUID.sub(lambda match: seen.setdefault(match[0], f"element-{len(seen)}"), page)
    page = _TIME.sub(_MOMENT.strftime("%Y%m%dT%H%M%S.%fZ"), page)
    page = _SHOWN_MOMENT.sub("not recorded", page)
    return _IMAGES.sub(logo, page)
