"""Moves a crontab of token scripts over: from its lines to jobs of jobs.toml. Pure: nothing is run, opened or asked.

crontab.py cuts the file into lines, shell.py a line into commands; web.py and options.py know what curl and wget are
told, store.py what vault and bao are; values.py where a value comes from, recognise.py which provider it is; draft.py,
client.py and place.py make the jobs, and table.py writes them.
No secret that is found goes further than values.py, which turns it into a reference.
"""
