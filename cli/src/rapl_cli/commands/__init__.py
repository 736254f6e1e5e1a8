"""The commands of `rapl`: as many files as commands. `__main__` imports a module when its command runs."""
