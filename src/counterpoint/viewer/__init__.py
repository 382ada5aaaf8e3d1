"""A folder of results and runs in a browser: start at `Survey` and at `serve`.

`survey.py` finds and reads what is in a folder, `folder_pages.py` makes its pages, and `server.py`
shows pages to a browser and knows nothing of results.
"""

from counterpoint.viewer.folder_pages import FolderPages
from counterpoint.viewer.server import Response, serve
from counterpoint.viewer.survey import Survey, read_folder

__all__ = [
    "FolderPages",
    "Response",
    "Survey",
    "read_folder",
    "serve",
]
