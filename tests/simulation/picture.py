def draw(report):
    raise NotImplementedError
