"""What a job has found so far: records in, files out."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mvit_nas.errors import InputError, PartialError
from mvit_nas.study.record import Record

# Between two writings of the files: the page takes 1.1 s at 100 records and 3.2 s at 1,000.
_SECONDS = 30.0


class Journal:
    """Records as they come, and the table, the origin and the page of them, which are behind by 30 s at most.

    A kill loses none of them: a search's are in its store at once, an ablation's in the cache.
    """

    def __init__(
        self,
        records: Sequence[Record],
        write: Callable[[Sequence[Record]], Path],
        *,
        kept: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``write`` makes the files and returns the page's path; ``kept`` is what messages say is not lost."""
        self._records = list(records)
        self._write = write
        self._kept = kept
        self._clock = clock
        self._written_at: float | None = None

    @property
    def records(self) -> Sequence[Record]:
        """All so far."""
        return self._records

    def append(self, record: Record) -> None:
        """Take a further record; the files are written where they are old and it cost a training."""
        self._records.append(record)
        if record.state.is_training:
            self._write_if_old()

    def replace(self, index: int, record: Record) -> None:
        """Put ``record`` in the place of an earlier one, of which more is known now."""
        self._records[index] = record
        self._write_if_old()

    def write(self) -> Path:
        """Write the files now; the path of the page. Raises PartialError where they cannot be written."""
        try:
            page = self._write(self._records)
        except InputError as error:
            raise PartialError(f"{error}; {self._kept} are kept: make room, then go on with --resume") from None
        self._written_at = self._clock()
        return page

    def _write_if_old(self) -> None:
        if self._written_at is None or self._clock() - self._written_at >= _SECONDS:
            self.write()
