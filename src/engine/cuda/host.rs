//! The kernels on the host, for tests: compiled by the system's C++ compiler through `kernels/host.h` and loaded as a
//! library. `CXX` names the compiler; `REFIG_HOST_FLAGS` adds flags, such as `-DREFIG_HOST_THREADS` (a block's threads
//! become system threads) and those of a sanitizer.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::arguments::Address;
use super::gpu::{Gpu, Slot};
use super::kernel::{Kernel, NAMES};
use super::launch::{Launch, Recording};
use crate::recipe::Precision;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// Binds all symbols at once, so that missing ones are reported here.
const RTLD_NOW: c_int = 2;

/// Guard floats before and after all numbers. They must stay unchanged, and reading one gives a NaN.
const GUARD: usize = 64;
const CANARY: u32 = 0x7fc0_dead;

/// The functions that launch kernels, by name.
struct Library(BTreeMap<&'static str, *mut c_void>);

// SAFETY: addresses of functions are valid on every thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// The library, or why the kernels cannot be compiled or loaded.
fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = compile(folder.path())?;
        load(&file)
    })
}

fn compilers() -> Vec<String> {
    match std::env::var("CXX") {
        Ok(compiler) if !compiler.is_empty() => vec![compiler],
        _ => ["c++", "g++", "clang++"].map(String::from).to_vec(),
    }
}

fn compile(folder: &Path) -> Result<PathBuf, String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/cuda/kernels");
    let file = folder.join("kernels.so");
    let flags = std::env::var("REFIG_HOST_FLAGS").unwrap_or_default();
    let mut found = None;
    for compiler in compilers() {
        let output = Command::new(&compiler)
            .args([
                "-std=c++17",
                "-O2",
                "-fPIC",
                "-shared",
                "-pthread",
                "-Wno-unknown-pragmas",
            ])
            // As on a GPU, multiplications and additions are fused only if the source says so.
            .args(["-ffp-contract=off", "-march=native", "-x", "c++"])
            .args(flags.split_whitespace())
            .arg("-include")
            .arg(kernels.join("host.h"))
            .arg(kernels.join("refig.cu"))
            .arg("-o")
            .arg(&file)
            .output();
        match output {
            Ok(output) if output.status.success() => return Ok(file),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                found.get_or_insert(format!("{compiler} cannot compile the kernels:\n{said}"));
            }
            Err(_) => {}
        }
    }
    Err(found.unwrap_or_else(|| "no C++ compiler found (tried c++, g++, clang++, or $CXX)".into()))
}

fn load(file: &Path) -> Result<Library, String> {
    let said = || {
        // SAFETY: dlerror returns a string or null.
        unsafe {
            dlerror().as_ref().map_or(String::new(), |text| {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            })
        }
    };
    let path =
        CString::new(file.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the library is our own, and its initialisers only construct empty objects.
    let library = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
    if library.is_null() {
        return Err(said());
    }
    let mut functions = BTreeMap::new();
    for &name in NAMES {
        let symbol = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: the library stays loaded.
        let function = unsafe { dlsym(library, symbol.as_ptr()) };
        if function.is_null() {
            return Err(format!("{name}: {}", said()));
        }
        functions.insert(name, function);
    }
    Ok(Library(functions))
}

/// Whether the tests can run here. Without a compiler they are skipped with a message.
///
/// # Panics
/// If there is a compiler but it cannot compile the kernels.
pub fn available() -> bool {
    match library() {
        Ok(_) => true,
        Err(why) if why.starts_with("no C++ compiler") => {
            eprintln!("skipped: {why}; install one to test the GPU's kernels on the host");
            false
        }
        Err(why) => panic!("{why}"),
    }
}

/// Floats with guards around them.
pub struct Numbers {
    start: *mut f32,
    len: usize,
}

impl Numbers {
    fn layout(len: usize) -> Layout {
        Layout::from_size_align((len + 2 * GUARD) * size_of::<f32>(), 64).unwrap()
    }

    /// Creates `len` floats without values: reading one that was not written gives a NaN.
    pub fn new(len: usize) -> Self {
        // SAFETY: the layout is not empty; every float is written before it is used.
        unsafe {
            let start = alloc(Self::layout(len)).cast::<f32>();
            assert!(!start.is_null());
            for at in 0..len + 2 * GUARD {
                start.add(at).write(f32::from_bits(CANARY));
            }
            Self { start, len }
        }
    }

    fn all(&self) -> &[f32] {
        // SAFETY: initialised in `new`, owned by self.
        unsafe { std::slice::from_raw_parts(self.start, self.len + 2 * GUARD) }
    }

    fn address(&self) -> Address {
        // SAFETY: within the allocation.
        unsafe { self.start.add(GUARD) as Address }
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        let len = self.len;
        let guards = [&self.all()[..GUARD], &self.all()[GUARD + len..]];
        let whole = guards
            .iter()
            .all(|guard| guard.iter().all(|float| float.to_bits() == CANARY));
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.cast(), Self::layout(len)) };
        if !std::thread::panicking() {
            assert!(whole, "a kernel wrote outside of {len} floats");
        }
    }
}

/// The host as a stand-in for a GPU.
#[derive(Default)]
pub struct Host {
    precision: Precision,
    scratch: RefCell<BTreeMap<Slot, Numbers>>,
    /// How often a slot was reallocated to grow.
    reallocations: Cell<usize>,
    /// Since `begin_recording`.
    recording: RefCell<Option<Recording>>,
}

impl Host {
    pub fn in_precision(precision: Precision) -> Self {
        Self {
            precision,
            ..Self::default()
        }
    }

    fn slot(&self, slot: Slot, bytes: usize) -> Address {
        let mut scratch = self.scratch.borrow_mut();
        let floats = bytes.div_ceil(size_of::<f32>());
        if scratch
            .get(&slot)
            .is_none_or(|numbers| numbers.len < floats)
        {
            let fresh = Numbers::new(floats);
            // SAFETY: the numbers have `floats` floats.
            unsafe { std::ptr::write_bytes(fresh.address() as *mut f32, 0, floats) };
            if scratch.insert(slot, fresh).is_some() {
                self.reallocations.set(self.reallocations.get() + 1);
            }
        }
        scratch[&slot].address()
    }
}

impl Gpu for Host {
    type Error = String;
    type Numbers = Numbers;
    type Bytes = Vec<u8>;
    type Graph = (usize, Vec<Launch>);

    fn precision(&self) -> Precision {
        self.precision
    }

    fn address(&self, numbers: &Numbers) -> Address {
        numbers.address()
    }

    fn len(&self, numbers: &Numbers) -> usize {
        numbers.len
    }

    fn upload(&self, values: &[f32]) -> Result<Numbers, String> {
        let numbers = Numbers::new(values.len());
        // SAFETY: source and destination have `values.len()` floats.
        unsafe {
            std::ptr::copy_nonoverlapping(
                values.as_ptr(),
                numbers.address() as *mut f32,
                values.len(),
            )
        };
        Ok(numbers)
    }

    fn download(&self, numbers: &Numbers) -> Result<Vec<f32>, String> {
        Ok(numbers.all()[GUARD..GUARD + numbers.len].to_vec())
    }

    fn keep(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }

    fn bytes_address(&self, bytes: &Vec<u8>) -> Address {
        bytes.as_ptr() as Address
    }

    fn scratch(&self, slot: Slot, bytes: usize) -> Result<Address, String> {
        Ok(self.slot(slot, bytes))
    }

    fn send<T: Copy>(&self, slot: Slot, values: &[T]) -> Result<Address, String> {
        let address = self.slot(slot, size_of_val(values));
        // SAFETY: the slot has room for the values.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), address as *mut T, values.len()) };
        Ok(address)
    }

    fn receive(&self, slot: Slot, bytes: &mut [u8]) -> Result<(), String> {
        let address = self.slot(slot, bytes.len());
        // SAFETY: the slot has at least `bytes.len()` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(address as *const u8, bytes.as_mut_ptr(), bytes.len())
        };
        Ok(())
    }

    fn begin_recording(&self) -> bool {
        let fresh = Recording::new(self.reallocations.get());
        self.recording.replace(Some(fresh));
        true
    }

    fn end_recording(&self) -> Result<Option<Self::Graph>, String> {
        let now = self.reallocations.get();
        let recording = self.recording.take();
        let recording = recording.filter(|recording| recording.reallocations == now);
        Ok(recording.map(|recording| (now, recording.into_launches())))
    }

    fn set_aside(&self, aside: bool) {
        if let Some(recording) = &mut *self.recording.borrow_mut() {
            recording.set_aside(aside);
        }
    }

    fn join(&self) {
        if let Some(recording) = &mut *self.recording.borrow_mut() {
            recording.join();
        }
    }

    unsafe fn launch_graph(&self, (before, launches): &Self::Graph) -> Result<bool, String> {
        if *before != self.reallocations.get() {
            return Ok(false);
        }
        // Those aside as late as a GPU may run them.
        let mut aside: Vec<&Launch> = Vec::new();
        for launch in launches {
            if launch.joins {
                for late in aside.drain(..) {
                    // SAFETY: by the caller's promise.
                    unsafe { run(late)? };
                }
            }
            match launch.aside {
                true => aside.push(launch),
                // SAFETY: by the caller's promise.
                false => unsafe { run(launch)? },
            }
        }
        for late in aside {
            // SAFETY: by the caller's promise.
            unsafe { run(late)? };
        }
        Ok(true)
    }

    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<A>,
        grid: [usize; 3],
        arguments: &A,
    ) -> Result<(), String> {
        assert!(
            grid.iter().all(|&side| side > 0),
            "empty grid for {}",
            kernel.name
        );
        assert!(
            grid[1] < 1 << 16 && grid[2] < 1 << 16,
            "grid too large for a GPU for {}",
            kernel.name
        );
        let launch = Launch::new(kernel, grid, arguments);
        // SAFETY: by the caller's promise.
        unsafe { run(&launch)? };
        if let Some(recording) = &mut *self.recording.borrow_mut() {
            recording.push(launch);
        }
        Ok(())
    }
}

/// Runs a kernel.
///
/// # Safety
/// As for [`Gpu::launch`].
unsafe fn run(launch: &Launch) -> Result<(), String> {
    type Function = unsafe extern "C" fn(u32, u32, u32, u32, *const c_void, usize) -> c_int;
    let library = library().as_ref().map_err(String::clone)?;
    // SAFETY: `KERNEL` in host.h defines the function with this signature.
    let function: Function = unsafe { std::mem::transmute(library.0[launch.kernel]) };
    let [x, y, z] = launch.grid;
    let arguments = launch.arguments().cast();
    // SAFETY: by the caller's promise; the function refuses arguments of another size.
    let code = unsafe { function(x, y, z, launch.threads, arguments, launch.size) };
    match code {
        0 => Ok(()),
        _ => Err(format!(
            "{}: its arguments or block have another size",
            launch.kernel
        )),
    }
}
