"""Without a network: sphinx_thebe, a default extension of Jupyter Book that names a script elsewhere, is unplugged."""


def setup(app):
    """Take the extension's listeners and its style sheet out; it has no switch of its own."""
    for event, listeners in app.events.listeners.items():
        kept = [listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"]
        app.events.listeners[event] = kept
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"]
    return {"parallel_read_safe": True}
