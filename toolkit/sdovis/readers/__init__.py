"""Where rows come from: the readers in the entry-point group ``sdovis.readers``, and the tables joined to rows."""
