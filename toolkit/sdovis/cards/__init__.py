"""Dataset card and model card: facts that the stages saved, rendered strictly, and every number checked again."""
