"""The file of the coverage report, always whole: a reader sees the earlier report or the new one.

Importing this module imports the drawing libraries, which are slow: do so where a report is made, not at start-up.
"""

from dataclasses import dataclass
from pathlib import Path

from fixtures_pipeline.errors import ReportError
from fixtures_pipeline.files import draft
from fixtures_pipeline.report.charts import draw_picture
from fixtures_pipeline.report.coverage import Coverage, read_coverage
from fixtures_pipeline.report.page import draw_page
from fixtures_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """A report that has been written.

    Attributes:
        coverage: Its numbers.
        picture: A small PNG of the latest days.
        path: The HTML file, which has all days.
    """

    coverage: Coverage
    picture: bytes
    path: Path


def write_report(settings: Settings) -> Report:
    """Read the database and rewrite the HTML file.

    Raises:
        StoreError: the database cannot be read.
        ReportError: the charts cannot be drawn or the file cannot be written; the earlier file is kept.
    """
    path = settings.report_file
    coverage = read_coverage(settings)
    try:
        picture = draw_picture(coverage.days)
        page = draw_page(coverage)
        with draft(path) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
            unfinished.replace(path)
    except OSError as error:
        raise ReportError(
            f"The report {path} cannot be written: {error.strerror}. Check its folder, the free space "
            "and the permissions; any earlier report is kept."
        ) from error
    except ValueError as error:
        # What vl-convert raises when it cannot draw.
        raise ReportError(f"The report {path} cannot be drawn: {error}") from error
    return Report(coverage, picture, path)
