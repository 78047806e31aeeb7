"""Parquet and Feather files from elsewhere, decoded in a process of their own.

A damaged file can make the decoder abort its whole process, past every exception. So a child
decodes it and hands back a plain Arrow stream; if the child dies, the file is refused and nothing
else is lost. What the child says on its standard error never reaches the operator's terminal.
"""

import io
import subprocess
import sys
from typing import TYPE_CHECKING

from adan_core.domain.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_REFUSED = 3


def read_framed(name: str, form: str, content: bytes) -> "pl.DataFrame":
    """Return the rows of ``content``, a ``parquet`` or ``feather`` file called ``name``.

    DataError if it is damaged or of another form.
    """
    import polars as pl

    child = subprocess.run(  # noqa: S603 -- our own interpreter and our own module
        [sys.executable, "-m", __name__, form], input=content, capture_output=True, check=False
    )
    if child.returncode == 0:
        return pl.read_ipc_stream(io.BytesIO(child.stdout))
    why = "it is damaged"
    if child.returncode == _REFUSED:
        why = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    raise DataError(
        f"{name} cannot be read as {form.capitalize()}: {why}", "a whole file", "fetch it again"
    )


def _decode(form: str) -> int:
    import polars as pl

    content = io.BytesIO(sys.stdin.buffer.read())
    try:
        frame = pl.read_parquet(content) if form == "parquet" else pl.read_ipc(content)
        decoded = io.BytesIO()
        frame.write_ipc_stream(decoded)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        print(str(error).strip().partition("\n")[0], file=sys.stderr)
        return _REFUSED
    sys.stdout.buffer.write(decoded.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(_decode(sys.argv[1]))
