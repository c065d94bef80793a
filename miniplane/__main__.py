"""`python -m miniplane` is `miniplane`."""

import sys

from miniplane.cli.main import main

sys.exit(main())
