"""A Kafka producer that sends any bytes, or none, to a partition of one's choice, alone or in a
transaction: librdkafka itself, through ctypes. clicktally-produce makes only events."""

import ctypes

_PRODUCER = 0
_COPY = 2
_MESSAGE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def _library():
    library = ctypes.CDLL("librdkafka.so.1")
    pointer, text, number, size = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
    for name, result, arguments in (
            ("conf_new", pointer, []),
            ("conf_set", number, [pointer, text, text, text, size]),
            ("conf_set_dr_msg_cb", None, [pointer, _MESSAGE_CALLBACK]),
            ("new", pointer, [number, pointer, text, size]),
            ("topic_new", pointer, [pointer, text, pointer]),
            ("produce", number, [pointer, ctypes.c_int32, number, text, size, pointer, size,
                                 pointer]),
            ("poll", number, [pointer, number]),
            ("flush", number, [pointer, number]),
            ("topic_destroy", None, [pointer]),
            ("destroy", None, [pointer]),
            ("init_transactions", pointer, [pointer, number]),
            ("begin_transaction", pointer, [pointer]),
            ("commit_transaction", pointer, [pointer, number]),
            ("abort_transaction", pointer, [pointer, number]),
            ("error_string", text, [pointer])):
        function = getattr(library, "rd_kafka_" + name)
        function.restype, function.argtypes = result, arguments
    return library


class RawProducer:
    """Use it as a context; what was sent is stored when flush() or the context ends."""

    def __init__(self, bootstrap, topic, limit_s=60, **properties):
        self._kafka = _library()
        self._limit_ms = int(limit_s * 1000)
        self._failed = []
        self._on_delivery = _MESSAGE_CALLBACK(self._delivered)  # kept: librdkafka calls it
        conf = self._kafka.rd_kafka_conf_new()
        error = ctypes.create_string_buffer(512)
        settings = {"bootstrap.servers": bootstrap, "log_level": "2", "linger.ms": "10",
                    "enable.idempotence": "true", "message.timeout.ms": str(self._limit_ms)}
        settings.update({name.replace("_", "."): value for name, value in properties.items()})
        for name, value in settings.items():
            assert self._kafka.rd_kafka_conf_set(conf, name.encode(), value.encode(), error,
                                                 512) == 0, error.value
        self._kafka.rd_kafka_conf_set_dr_msg_cb(conf, self._on_delivery)
        self._handle = self._kafka.rd_kafka_new(_PRODUCER, conf, error, 512)
        assert self._handle, error.value
        self._topic = self._kafka.rd_kafka_topic_new(self._handle, topic.encode(), None)

    def _delivered(self, _handle, message, _opaque):
        code = ctypes.cast(message, ctypes.POINTER(ctypes.c_int))[0]  # the struct's first field
        if code != 0:
            self._failed.append(code)

    def send(self, partition, value):
        """`value` None is a tombstone."""
        size = 0 if value is None else len(value)
        while self._kafka.rd_kafka_produce(self._topic, partition, _COPY, value, size, None, 0,
                                           None) != 0:
            self._kafka.rd_kafka_poll(self._handle, 10)  # its queue is full

    def flush(self):
        left = self._kafka.rd_kafka_flush(self._handle, self._limit_ms)
        assert left == 0 and not self._failed, f"not stored: error codes {self._failed[:5]}, {left}"

    def _transaction(self, step, *arguments):
        error = getattr(self._kafka, f"rd_kafka_{step}")(self._handle, *arguments)
        assert not error, f"{step}: {self._kafka.rd_kafka_error_string(error).decode()}"

    def init_transactions(self):
        self._transaction("init_transactions", self._limit_ms)

    def begin(self):
        self._transaction("begin_transaction")

    def commit(self):
        self._transaction("commit_transaction", self._limit_ms)

    def abort(self):
        self._transaction("abort_transaction", self._limit_ms)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                self.flush()
        finally:
            self._kafka.rd_kafka_topic_destroy(self._topic)
            self._kafka.rd_kafka_destroy(self._handle)


def send(bootstrap, topic, values, partitions=3, first=0):
    """Deals the values out to the partitions in turn, beginning with `first`, and stores them."""
    with RawProducer(bootstrap, topic) as producer:
        for i, value in enumerate(values):
            producer.send((first + i) % partitions, value)
