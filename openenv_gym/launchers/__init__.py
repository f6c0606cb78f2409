"""Launchers start what an environment needs to run in."""
