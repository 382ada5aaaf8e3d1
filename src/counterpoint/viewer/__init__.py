"""A folder of results and runs in a browser: start at `Survey` and at `serve`.

`audit_pages.py` has the pages of an audit of a log,
`survey.py` finds and reads what is in a folder, `folder_pages.py` makes its pages, and `server.py`
shows pages to a browser and knows nothing of results.
"""

from counterpoint.viewer.audit_pages import AuditPages
from counterpoint.viewer.folder_pages import FolderPages
from counterpoint.viewer.server import Response, serve
from counterpoint.viewer.survey import Survey, read_folder

__all__ = [
    "AuditPages",
    "FolderPages",
    "Response",
    "Survey",
    "read_folder",
    "serve",
]
