"""`python -m segmentstream_api` is `segmentstream-api`."""

from segmentstream_api.cli import main

raise SystemExit(main())
