"""What is wrong, and what is said of it: the tables of bad_input_test.py.

The `CASES` of a module are those of one subject, by name:

    (call, message) or (call, message, error)

`call` does something wrong and asks for pytest's fixtures by the names of its
arguments; `message` is a regular expression for the one line that names the
cause and the remedy; `error` is ValueError where it is not given.
"""
