"""One HTTP request, from its turn to its last byte. Knows no day, no provider and no store."""
