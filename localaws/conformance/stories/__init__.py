"""A story per service: each operation that runs is called once or more, and each error that can be provoked is.

After each story there is a table of why the other declared errors are not provoked: by their code, or by operation and
code.
"""
