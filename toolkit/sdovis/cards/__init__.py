"""Dataset card and model card: facts saved by the stages, rendered strictly, and every number checked again."""
