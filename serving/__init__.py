"""Engines, the streaming session core, the registry, the Bento service and its client."""
