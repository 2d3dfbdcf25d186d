"""The `voiceforge` command; every command imports what it needs when it runs."""
