"""Where rows come from: the plug-ins of ``sdovis.readers``, and the tables joined to them."""
