"""Load, floor programs and reports."""
