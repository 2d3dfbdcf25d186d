"""Engines: a merged model in the form and precision that serves it."""
