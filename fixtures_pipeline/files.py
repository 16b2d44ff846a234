"""Files that appear whole: written beside their place under another name, and moved there in one step.

Only how a file is put into its place belongs here; what is in it is for whoever writes it.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory

#: Seconds after which whoever began a draft is taken to have been killed.
OLD = 3600

#: In the name of a draft's folder. Not `.tmp`, which DuckDB makes beside a file for what does not fit into memory.
_UNFINISHED = "unfinished-"


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Return where to write what is to become `path`, on the same disk; what is still there at the end is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{_UNFINISHED}"
    with TemporaryDirectory(prefix=prefix, dir=path.parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder) / path.name


def sweep_drafts(path: Path) -> None:
    """Delete the drafts of `path` that a killed process has left behind; one that resists is left for the next time."""
    for folder in path.parent.glob(f".{escape(path.name)}.{_UNFINISHED}*"):
        with suppress(OSError):
            if max(one.stat().st_mtime for one in (folder, *folder.iterdir())) < time.time() - OLD:
                shutil.rmtree(folder)
