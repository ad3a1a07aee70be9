"""The wire of Segment's SDKs, which RudderStack's and Jitsu's share: `/v1/*` and its kin.

Sources, all read in 2026: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/,
https://segment.com/docs/connections/spec/, https://www.rudderstack.com/docs/api/http-api/, and the
source code of the SDKs that docs/sources.md lists.
"""
