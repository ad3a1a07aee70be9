"""What an event of a given name should hold: SegmentStream's event types and a team's own."""
