"""Commands that measure side by side and print ratios."""
