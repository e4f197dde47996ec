"""The shipped data, packed into the wheel as package data: read them with ``importlib.resources.files("netrollout.data")``."""
