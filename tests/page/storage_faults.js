// Makes the browser's database fail in the way that `storageFault` names, from the moment at which it is set.

window.storageFault ??= sessionStorage.getItem("storage-fault");

const is = (name) => window.storageFault === name;
const thrown = (name) => new DOMException("on order", name);

/** Has the method `name` do something else, as long as `fault` says that. */
function replace(type, name, fault) {
  const original = type.prototype[name];
  type.prototype[name] = function (...args) {
    return fault.call(this, args, () => original.apply(this, args));
  };
}

/** A request, or an open, to which no answer comes. */
const silence = () => new EventTarget();

replace(IDBFactory, "open", function (_, proceed) {
  if (is("open refused")) throw thrown("SecurityError");
  if (is("open silent")) return silence();
  if (!is("open fails")) return proceed();
  const request = { error: thrown("UnknownError") };
  setTimeout(() => request.onerror?.());
  return request;
});

replace(IDBDatabase, "transaction", function (_, proceed) {
  if (is("connection closed")) throw thrown("InvalidStateError");
  return proceed();
});

for (const name of ["get", "getAll"]) {
  replace(IDBObjectStore, name, function (_, proceed) {
    if (is("read silent")) return silence();
    const request = proceed();
    if (is("read fails")) this.transaction.abort();
    return request;
  });
}

replace(IDBObjectStore, "put", function (_, proceed) {
  if (is("write refused")) throw thrown("DataError");
  if (is("storage full")) throw thrown("QuotaExceededError");
  const request = proceed();
  if (is("write aborted")) this.transaction.abort();
  return request;
});
