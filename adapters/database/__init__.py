"""PostgreSQL: the truth about money, ids and status."""
