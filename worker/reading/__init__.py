"""Rows out of CSV, JSON, Parquet and Excel, gzip too, in bounded memory, wherever the files lie.

The laptop and the machine that trains read with the same code: the same bytes give the same rows,
with the same line numbers, or are refused in the same words. Knows neither tasks nor where rows
go. To read another format, add its suffix in `files` and its opener in `formats`.
"""

from worker.reading.load import load, local_files, stream
from worker.reading.table import FileTable, Measured, Table

__all__ = ["FileTable", "Measured", "Table", "load", "local_files", "stream"]
