"""Pure numbers: skill from confusion matrices, intervals by cluster, descriptions and rank tests. No learning here."""
