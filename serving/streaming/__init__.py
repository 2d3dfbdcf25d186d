"""The streaming session core: audio chunks in, events out, no sockets."""
