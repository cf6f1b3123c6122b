//! Reads pickles of what the batches of CIFAR-10's Python version hold: dictionaries, lists, tuples, strings, integers and
//! numpy arrays of bytes, in the protocols 2 to 5. Nothing is imported or executed: the four numpy names that such a
//! pickle calls are known here, and any other name or instruction is an error. Bytes are borrowed from the input, and
//! the memory for the rest is bounded by the number of instructions.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

/// The most instructions of a pickle. A batch has about 50,000.
const MOST_STEPS: usize = 1 << 18;
/// The most bytes of a name in an error.
const MOST_SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// Bytes or text.
    Bytes(&'a [u8]),
    Name(Name),
    /// The number of an object, which later instructions may change.
    Object(usize),
}

/// What a pickle may call or refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `numpy.core.multiarray._reconstruct`
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`
    FromBuffer,
    /// `numpy.ndarray`
    NdArray,
    /// `numpy.dtype`
    DType,
}

#[derive(Debug)]
enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// numpy's type of an unsigned byte; no other is accepted.
    ByteType,
    /// `None` until its state is known.
    Array(Option<Array<'a>>),
}

/// A numpy array of unsigned bytes.
#[derive(Debug)]
pub(super) struct Array<'a> {
    pub shape: Vec<usize>,
    /// Whether the first index changes fastest.
    pub fortran: bool,
    /// As many as the shape says.
    pub bytes: &'a [u8],
}

/// A pickled dictionary.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    root: usize,
    objects: Vec<Object<'a>>,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with.
    ///
    /// # Errors
    /// Without an exit code, if it is cut off or contradicts itself, or uses what a batch does not.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut machine = Machine {
            rest: bytes,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
        };
        for _ in 0..MOST_STEPS {
            match machine.step()? {
                None => {}
                Some(Value::Object(root)) => {
                    return Ok(Self {
                        root,
                        objects: machine.objects,
                    });
                }
                Some(_) => bail!("it is no dictionary"),
            }
        }
        bail!("it has more than {MOST_STEPS} instructions")
    }

    /// The value of a key of the dictionary.
    fn value(&self, key: &str) -> Result<Value<'a>> {
        let Object::Dict(entries) = &self.objects[self.root] else {
            bail!("it is no dictionary");
        };
        entries
            .iter()
            .rev()
            .find(|(own, _)| *own == Value::Bytes(key.as_bytes()))
            .map(|&(_, value)| value)
            .with_context(|| format!("it has no `{key}`"))
    }

    fn object(&self, key: &str) -> Result<&Object<'a>> {
        match self.value(key)? {
            Value::Object(number) => Ok(&self.objects[number]),
            _ => bail!("`{key}` has another type"),
        }
    }

    pub fn list(&self, key: &str) -> Result<&[Value<'a>]> {
        match self.object(key)? {
            Object::List(values) => Ok(values),
            _ => bail!("`{key}` is no list"),
        }
    }

    pub fn array(&self, key: &str) -> Result<&Array<'a>> {
        match self.object(key)? {
            Object::Array(Some(array)) => Ok(array),
            _ => bail!("`{key}` is no numpy array"),
        }
    }
}

/// The beginning of a name, which may be as long as the file.
fn shown(name: &[u8]) -> impl std::fmt::Display {
    name[..name.len().min(MOST_SHOWN)].escape_ascii()
}

/// The stack machine that a pickle is a program for. Each step adds a value at most.
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// Lengths of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// Executes an instruction. The last one gives the value of the pickle.
    fn step(&mut self) -> Result<Option<Value<'a>>> {
        let code = self.number(1)? as u8;
        match code {
            // PROTO
            0x80 => {
                let protocol = self.number(1)?;
                if protocol > 5 {
                    bail!("it has protocol {protocol}; 2 to 5 can be read");
                }
            }
            // FRAME: a hint for reading ahead.
            0x95 => {
                self.take(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            // BININT1, BININT2, BININT, LONG1
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let number = self.number(4)? as u32;
                self.stack.push(Value::Int(i64::from(number.cast_signed())));
            }
            0x8a => self.long()?,
            // Strings of Python 2, bytes, text and byte arrays, by the width of their size.
            b'U' | b'C' | 0x8c => self.string(1)?,
            b'T' | b'B' | b'X' => self.string(4)?,
            0x8d | 0x8e | 0x96 => self.string(8)?,
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.name(module, name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Bytes(name), Value::Bytes(module)) => self.name(module, name)?,
                _ => bail!("a name in it is no text"),
            },
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let (number, value) = (self.memo.len() as u64, self.top()?);
                self.memo.insert(number, value);
            }
            // BINGET, LONG_BINGET
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'}' => self.create(Object::Dict(Vec::new())),
            b']' => self.create(Object::List(Vec::new())),
            b')' => self.create(Object::Tuple(Vec::new())),
            // TUPLE1 to TUPLE3, TUPLE
            0x85..=0x87 => {
                let values = self.pop_many(usize::from(code - 0x84))?;
                self.create(Object::Tuple(values));
            }
            b't' => {
                let values = self.pop_marked()?;
                self.create(Object::Tuple(values));
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => {
                let values = self.pop_many(1)?;
                self.extend(values)?;
            }
            b'e' => {
                let values = self.pop_marked()?;
                self.extend(values)?;
            }
            b's' => {
                let values = self.pop_many(2)?;
                self.insert(&values)?;
            }
            b'u' => {
                let values = self.pop_marked()?;
                self.insert(&values)?;
            }
            // REDUCE, BUILD
            b'R' => {
                let (arguments, name) = (self.pop()?, self.pop()?);
                self.call(name, arguments)?;
            }
            b'b' => {
                let (state, target) = (self.pop()?, self.top()?);
                self.build(target, state)?;
            }
            _ => bail!("instruction {code:#04x} does not occur in a batch"),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .context("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    /// A little-endian number of at most eight bytes.
    fn number(&mut self, width: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn integer(&mut self, width: usize) -> Result<()> {
        let number = self.number(width)?;
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    /// A signed number with a width of its own.
    fn long(&mut self) -> Result<()> {
        let width = self.number(1)? as usize;
        if width > 8 {
            bail!("it holds an integer of {width} bytes");
        }
        let unused = 64 - 8 * width as u32;
        let number = self.number(width)?.cast_signed();
        // Moves the sign to the top and back. Of no bytes, the number is 0.
        let signed = number.checked_shl(unused).unwrap_or(0) >> unused.min(63);
        self.stack.push(Value::Int(signed));
        Ok(())
    }

    fn string(&mut self, width: usize) -> Result<()> {
        let size = usize::try_from(self.number(width)?)?;
        let bytes = self.take(size)?;
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    /// To the end of the line.
    fn line(&mut self) -> Result<&'a [u8]> {
        let end = self.rest.iter().take(100).position(|&byte| byte == b'\n');
        let line = self.take(end.context("a name in it is too long")?)?;
        self.take(1)?;
        Ok(line)
    }

    fn name(&mut self, module: &[u8], name: &[u8]) -> Result<()> {
        // Since numpy 2 there is `_core` instead of `core`.
        let name = match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Name::Reconstruct
            }
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Name::FromBuffer,
            (b"numpy", b"ndarray") => Name::NdArray,
            (b"numpy", b"dtype") => Name::DType,
            _ => bail!(
                "it asks for `{}` of `{}`, which no batch needs; nothing was executed",
                shown(name),
                shown(module)
            ),
        };
        self.stack.push(Value::Name(name));
        Ok(())
    }

    fn top(&self) -> Result<Value<'a>> {
        self.stack.last().copied().context("its stack is empty")
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        self.stack.pop().context("its stack is empty")
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>> {
        let kept = self.stack.len().checked_sub(count);
        Ok(self.stack.split_off(kept.context("its stack is empty")?))
    }

    fn pop_marked(&mut self) -> Result<Vec<Value<'a>>> {
        let mark = self.marks.pop().context("a mark is missing")?;
        if mark > self.stack.len() {
            bail!("its stack is empty");
        }
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, width: usize) -> Result<()> {
        let (number, value) = (self.number(width)?, self.top()?);
        self.memo.insert(number, value);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<()> {
        let number = self.number(width)?;
        let value = self.memo.get(&number).copied();
        self.stack
            .push(value.with_context(|| format!("it recalls nothing as {number}"))?);
        Ok(())
    }

    fn create(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn extend(&mut self, values: Vec<Value<'a>>) -> Result<()> {
        match self.object(self.top()?) {
            Some(Object::List(list)) => list.extend(values),
            _ => bail!("it appends to what is no list"),
        }
        Ok(())
    }

    fn insert(&mut self, values: &[Value<'a>]) -> Result<()> {
        let (pairs, []) = values.as_chunks::<2>() else {
            bail!("a key in it has no value");
        };
        match self.object(self.top()?) {
            Some(Object::Dict(dict)) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => bail!("it sets items of what is no dictionary"),
        }
        Ok(())
    }

    fn object(&mut self, value: Value<'a>) -> Option<&mut Object<'a>> {
        match value {
            Value::Object(number) => self.objects.get_mut(number),
            _ => None,
        }
    }

    fn tuple(&self, value: Value<'a>) -> Result<&[Value<'a>]> {
        match value {
            Value::Object(number) => match &self.objects[number] {
                Object::Tuple(values) => Ok(values),
                _ => bail!("arguments in it are no tuple"),
            },
            _ => bail!("arguments in it are no tuple"),
        }
    }

    fn call(&mut self, name: Value<'a>, arguments: Value<'a>) -> Result<()> {
        let Value::Name(name) = name else {
            bail!("it calls what cannot be called");
        };
        let object = match (name, self.tuple(arguments)?) {
            (Name::Reconstruct, [Value::Name(Name::NdArray), ..]) => Object::Array(None),
            (Name::DType, [Value::Bytes(kind), ..]) => {
                if !matches!(*kind, b"u1" | b"|u1" | b"uint8") {
                    bail!("it holds an array of `{}`, not of u1", shown(kind));
                }
                Object::ByteType
            }
            (
                Name::FromBuffer,
                [
                    Value::Bytes(bytes),
                    kind,
                    shape,
                    Value::Bytes(order),
                    rest @ ..,
                ],
            ) if matches!(*order, b"C" | b"F") && matches!(rest, [] | [Value::None]) => {
                Object::Array(Some(self.array(*shape, *kind, *order == b"F", bytes)?))
            }
            _ => bail!("it calls {name:?} with other arguments than a batch"),
        };
        self.create(object);
        Ok(())
    }

    fn build(&mut self, target: Value<'a>, state: Value<'a>) -> Result<()> {
        let Value::Object(number) = target else {
            bail!("it changes what cannot be changed");
        };
        let array = match &self.objects[number] {
            // Byte order and alignment, which bytes do not have.
            Object::ByteType => return Ok(()),
            Object::Array(None) => match *self.tuple(state)? {
                [_, shape, kind, Value::Bool(fortran), Value::Bytes(bytes)] => {
                    self.array(shape, kind, fortran, bytes)?
                }
                _ => bail!("an array in it has another state than numpy's"),
            },
            _ => bail!("it changes what cannot be changed"),
        };
        self.objects[number] = Object::Array(Some(array));
        Ok(())
    }

    fn array(
        &self,
        shape: Value<'a>,
        kind: Value<'a>,
        fortran: bool,
        bytes: &'a [u8],
    ) -> Result<Array<'a>> {
        let is_type = matches!(kind, Value::Object(number) if matches!(self.objects[number], Object::ByteType));
        if !is_type {
            bail!("an array in it has no type");
        }
        let mut sides = Vec::new();
        let mut values = 1usize;
        for side in self.tuple(shape)? {
            let side = match side {
                Value::Int(side) => usize::try_from(*side).ok(),
                _ => None,
            };
            let product = side.and_then(|side| values.checked_mul(side));
            let (Some(side), Some(product)) = (side, product) else {
                bail!("an array in it has no sensible shape");
            };
            sides.push(side);
            values = product;
        }
        if values != bytes.len() {
            bail!(
                "an array in it has {} bytes instead of {values}",
                bytes.len()
            );
        }
        Ok(Array {
            shape: sides,
            fortran,
            bytes,
        })
    }
}
