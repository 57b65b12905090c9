# limit: stage deadline
# asked: {import_seconds:g} s
# ends as: timeout
while True: pass
