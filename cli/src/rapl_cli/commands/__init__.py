"""The commands of `rapl`, in as many files as there are commands. `__main__` imports a module when its command runs."""
