"""What the store and the destination on PostgreSQL share. Needs the extra `postgresql`."""
