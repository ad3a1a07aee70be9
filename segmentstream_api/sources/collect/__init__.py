"""SegmentStream's own JavaScript SDK: what it posts to its `trackingUrl`."""
