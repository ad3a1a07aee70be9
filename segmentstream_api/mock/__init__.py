"""The service for other people's tests: everything is real but the destinations.

`segmentstream-api mock` runs it, and `plugin` brings it to pytest as the fixture `tracking_api`.
`plugin` and `client` import nothing of the rest: every pytest that finds them installed loads them.
"""
