"""The API server: the Kubernetes REST API over one revision log.

`settings` · `app` (middleware list and route table) · `http/` over `registry/` over `store/`; `admission/` and `auth/`
stand beside the registry and know nothing of HTTP.
"""

from .serve import run
from .settings import Settings

__all__ = ["Settings", "run"]
