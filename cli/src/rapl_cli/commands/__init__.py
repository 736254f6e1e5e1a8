"""The commands of `rapl`, each a module. `__main__` imports a module when its command runs."""
