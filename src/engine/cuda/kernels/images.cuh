// Mini-batches in: pixels as the host has them, decisions over a set of images that lies here, or crops as bytes.
#pragma once
#include "number.cuh"

constexpr int IMAGE_THREADS = 256;
// Images of one launch: their decisions are a kernel's argument, which is copied without waiting.
constexpr int DRAWN = 256;

struct PutImages {
    // [images][height][width][channels]
    const float *pixels;
    void *feature;
    Shape shape;
};

template <typename T> DEVICE void put_images_as(const PutImages &a) {
    const unsigned index = blockIdx.x * IMAGE_THREADS + threadIdx.x;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    const unsigned pixel = (p.image * a.shape.height + p.row) * a.shape.width + p.column;
    static_cast<T *>(a.feature)[index] = narrow<T>(p.inside ? a.pixels[pixel * a.shape.channels + p.channel] : 0.0f);
}

KERNEL(put_images, IMAGE_THREADS, PutImages) { put_images_as<float>(a); }
KERNEL(put_images_bf16, IMAGE_THREADS, PutImages) { put_images_as<bf16>(a); }

// A number of the images of a launch: what `value` gives within an image, and a halo of zeros.
template <typename T, typename Images, typename Value> DEVICE void write_images(const Images &a, Value value) {
    const unsigned place = blockIdx.x * IMAGE_THREADS + threadIdx.x;
    const unsigned floats = a.shape.by_padded_image.divisor * a.shape.channels;
    if (place >= a.count * floats)
        return;
    const unsigned index = a.first * floats + place;
    const Place p = place_of(a.shape, index);
    static_cast<T *>(a.feature)[index] = narrow<T>(p.inside ? value(p) : 0.0f);
}

struct DrawnImage {
    unsigned index;
    // Where the crop begins in the padded image.
    unsigned char top, left;
    unsigned char flip, unused;
};

struct Drawing {
    // [images of the set][3][height][width]
    const unsigned char *bytes;
    // The number of each image's class, which a float holds exactly.
    const float *classes;
    // [height][width][3]
    const float *mean;
    void *feature;
    unsigned short *labels;
    // Of the mini-batch; three channels.
    Shape shape;
    float inverse[3];
    unsigned pad;
    // What is padded is black before it is normalised; else 0 behind that.
    unsigned black;
    // Which images of the mini-batch this launch makes.
    unsigned first, count;
    DrawnImage drawn[DRAWN];
};

// As the CPU's loader does it, to the bit: a subtraction and a multiplication, with the same rounded inverse.
template <typename T> DEVICE void draw_images_as(const Drawing &a) {
    const unsigned number = blockIdx.x * IMAGE_THREADS + threadIdx.x;
    if (number < a.count)
        a.labels[a.first + number] = static_cast<unsigned short>(a.classes[a.drawn[number].index]);
    write_images<T>(a, [&](const Place &p) {
        const DrawnImage &image = a.drawn[p.image - a.first];
        const unsigned width = a.shape.width, height = a.shape.height;
        // Rows and columns in front of the image become huge.
        const unsigned row = p.row + image.top - a.pad;
        const unsigned column = (image.flip ? width - 1 - p.column : p.column) + image.left - a.pad;
        const bool there = row < height && column < width;
        if (!there && !a.black)
            return 0.0f;
        const size_t from = ((size_t(image.index) * 3 + p.channel) * height + row) * width + column;
        const float byte = there ? float(a.bytes[from]) : 0.0f;
        // The mean image lies over the original, or over what the network sees.
        const unsigned pixel = a.black ? p.row * width + p.column : row * width + column;
        return (byte - a.mean[pixel * 3 + p.channel]) * a.inverse[p.channel];
    });
}

KERNEL(draw_images, IMAGE_THREADS, Drawing) { draw_images_as<float>(a); }
KERNEL(draw_images_bf16, IMAGE_THREADS, Drawing) { draw_images_as<bf16>(a); }

// Images of one launch: their shifts are a kernel's argument.
constexpr int CROPS = 256;

struct PutCrops {
    // [images of the mini-batch][height][width][3]
    const unsigned char *bytes;
    // [height][width][3]
    const float *mean;
    void *feature;
    // Of the mini-batch; three channels.
    Shape shape;
    float inverse[3];
    // Which images of the mini-batch this launch makes.
    unsigned first, count;
    // Grey levels that are added to red, green and blue.
    float shifts[CROPS][3];
};

// As the CPU's loader does it, to the bit: an addition, a subtraction and a multiplication, of which none can be fused, since
// the multiplication comes last; the inverse is the same rounded one.
template <typename T> DEVICE void put_crops_as(const PutCrops &a) {
    write_images<T>(a, [&](const Place &p) {
        const unsigned number = (p.row * a.shape.width + p.column) * 3 + p.channel;
        const size_t image = size_t(p.image) * a.shape.height * a.shape.width * 3;
        const float byte = float(a.bytes[image + number]);
        return (byte + a.shifts[p.image - a.first][p.channel] - a.mean[number]) * a.inverse[p.channel];
    });
}

KERNEL(put_crops, IMAGE_THREADS, PutCrops) { put_crops_as<float>(a); }
KERNEL(put_crops_bf16, IMAGE_THREADS, PutCrops) { put_crops_as<bf16>(a); }
