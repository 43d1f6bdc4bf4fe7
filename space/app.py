import sdovis.webapp

sdovis.webapp.launch(space=__file__)
