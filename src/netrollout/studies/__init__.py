"""What single chapters of the book compute, and nothing else: imported by notebooks and tests only."""
