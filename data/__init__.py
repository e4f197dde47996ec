"""The shipped data, in the wheel as package data: read with ``importlib.resources.files("netrollout.data")``."""
