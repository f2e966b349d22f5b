"""How each packaged reference is built from published tables, a module each."""
